# How ctest runs the tests of a GoogleTest program.
#
# One entry per test, each in a process of its own: they run side by side, in random order, and one
# that crashes or hangs takes no other with it. PRE_TEST: listing the tests needs the sanitizer's
# environment, which is set when tests run and not when they are built. One label: a list of them
# comes apart on the way (CMake 3.25), and takes the timeout with it.
#
# With sanitizers an entry is up to ten tests of one suite: what a process needs to start costs more
# there than most tests do (docs/design/0055-ci-time.md). Each writes what became of its tests to
# results/<entry>.xml in the folder of the build, where tools/count_tests.py finds it.

set(TROUPE_TESTS_PER_PROCESS 1)
if(TROUPE_SANITIZE)
  set(TROUPE_TESTS_PER_PROCESS 10)
endif()
if(TROUPE_BUILD_TESTS)
  include(GoogleTest)
endif()

# troupe_discover_tests(<program> PREFIX <text> LABEL <text>
#   [FILTER <GoogleTest's filter>]  # only those
#   [ENVIRONMENT <name>=<value>]
#   [TIMEOUT <seconds>]             # of a test, 300 if nothing is said
#   [LIST <name>])                  # of a second call for the same program
function(troupe_discover_tests program)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PREFIX;LABEL;FILTER;ENVIRONMENT;TIMEOUT;LIST" "")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_discover_tests: do not know '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_LIST)
    set(arg_LIST ${program}_tests)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(TROUPE_TESTS_PER_PROCESS EQUAL 1)
    set(optional "")
    if(arg_FILTER)
      list(APPEND optional TEST_FILTER "${arg_FILTER}")
    endif()
    set(environment "")
    if(arg_ENVIRONMENT)
      set(environment ENVIRONMENT ${arg_ENVIRONMENT})
    endif()
    gtest_discover_tests(${program} TEST_PREFIX "${arg_PREFIX}" DISCOVERY_MODE PRE_TEST ${optional}
                         TEST_LIST ${arg_LIST} DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT} ${environment})
    return()
  endif()
  set(script "${CMAKE_CURRENT_BINARY_DIR}/${arg_LIST}.cmake")
  file(GENERATE OUTPUT "${script}" CONTENT "set(program \"$<TARGET_FILE:${program}>\")
set(folder \"${CMAKE_CURRENT_BINARY_DIR}\")
set(results \"${PROJECT_BINARY_DIR}/results\")
set(prefix \"${arg_PREFIX}\")
set(label \"${arg_LABEL}\")
set(filter \"${arg_FILTER}\")
set(environment \"${arg_ENVIRONMENT}\")
set(most ${TROUPE_TESTS_PER_PROCESS})
include(\"${PROJECT_SOURCE_DIR}/cmake/grouped_tests.cmake\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${script}")
endfunction()
