# The third parties, all of them Debian 12 packages. `./dev setup` installs them.
#
# Names to use in LINK:
#   spdlog::spdlog_header_only  fmt::fmt-header-only  Boost::headers  Boost::json  CLI11::CLI11
#   ZLIB::ZLIB  OpenSSL::SSL  NGHTTP2::nghttp2
# spdlog and fmt as headers only: the packaged shared objects are not instrumented, so the thread
# sanitizer would not see their locks.

find_package(Threads REQUIRED)
find_package(Boost 1.81 CONFIG QUIET COMPONENTS headers json)
find_package(fmt CONFIG QUIET)
find_package(spdlog CONFIG QUIET)
find_package(ZLIB QUIET)
find_package(OpenSSL 3.0 QUIET)
list(APPEND CMAKE_MODULE_PATH "${PROJECT_SOURCE_DIR}/cmake")
find_package(NGHTTP2 1.52 QUIET)
if(NOT Boost_FOUND OR NOT fmt_FOUND OR NOT spdlog_FOUND OR NOT ZLIB_FOUND OR NOT OPENSSL_FOUND
   OR NOT NGHTTP2_FOUND)
  message(FATAL_ERROR
          "Boost 1.81, fmt, spdlog, zlib, OpenSSL 3 or nghttp2 is missing: run ./dev setup")
endif()
# As packaged, even the headers-only target links the shared fmt.
set_target_properties(spdlog::spdlog_header_only PROPERTIES
                      INTERFACE_LINK_LIBRARIES "Threads::Threads;fmt::fmt-header-only")

if(TROUPE_BUILD_TESTS)
  find_package(GTest CONFIG QUIET)
  find_package(Python3 COMPONENTS Interpreter)
  if(NOT GTest_FOUND OR NOT Python3_FOUND)
    message(FATAL_ERROR "GoogleTest or Python 3 is missing: run ./dev setup")
  endif()
endif()
if(TROUPE_BUILD_BENCH)
  find_package(benchmark CONFIG QUIET)
  if(NOT benchmark_FOUND)
    message(FATAL_ERROR "Google Benchmark is missing: ./dev setup, or TROUPE_BUILD_BENCH=OFF")
  endif()
endif()
if(TROUPE_BUILD_EXAMPLES OR TROUPE_BUILD_BENCH)
  find_package(CLI11 CONFIG QUIET)
  if(NOT CLI11_FOUND)
    message(FATAL_ERROR "CLI11 is missing: ./dev setup, or TROUPE_BUILD_EXAMPLES=OFF")
  endif()
endif()

# Libraries a user of the installed troupe must link too, and how troupeConfig.cmake finds them.
# Everything else is headers only and ends with our own build.
set(TROUPE_LINKED_LIBRARIES Boost::json ZLIB::ZLIB OpenSSL::SSL NGHTTP2::nghttp2)
set(TROUPE_FIND_Boost::json "Boost 1.81 CONFIG COMPONENTS json")
set(TROUPE_FIND_ZLIB::ZLIB "ZLIB")
set(TROUPE_FIND_OpenSSL::SSL "OpenSSL 3.0")
set(TROUPE_FIND_NGHTTP2::nghttp2 "NGHTTP2 1.52")
