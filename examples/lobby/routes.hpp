#pragma once

#include <troupe/http/router.hpp>

#include "lobby.hpp"

/// The page, the WebSocket it speaks through, and /health.
troupe::http::Router routes(Lobby lobby);
