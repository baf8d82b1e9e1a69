#pragma once

#include <troupe/actor/system.hpp>
#include <troupe/http/router.hpp>

#include "offers.hpp"

/// What the service answers; README.md has the table.
troupe::http::Router routes(troupe::System system, Kitchen kitchen);
