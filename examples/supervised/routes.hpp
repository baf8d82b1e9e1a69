#pragma once

#include <troupe/http/router.hpp>

#include "workshop.hpp"

/// What the service answers; README.md has the table.
troupe::http::Router routes(OpenWorkshop workshop);
