#pragma once

#include <troupe/actor/system.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/router.hpp>

#include "news.hpp"

#include <string>

/// What the service answers; README.md has the table.
///
/// Errors: those of http::files, for the folder.
troupe::Result<troupe::http::Router> routes(const std::string& folder, troupe::Ref<News> news);
