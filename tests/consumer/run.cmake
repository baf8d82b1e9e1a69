# Installs the build into an empty prefix, then configures, builds and runs a project that only
# knows that prefix. Everything is made anew, so nothing of an earlier run can stand in for a file
# that is no longer installed.
#
# cmake -DBUILD=... -DSCRATCH=... -DSOURCE=... -DCOMPILER=... -DFLAGS=... -P run.cmake
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${SCRATCH}")
run("installing" "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${SCRATCH}/prefix")
run("configuring" "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${SCRATCH}/build" -G Ninja
    "-DCMAKE_PREFIX_PATH=${SCRATCH}/prefix" "-DCMAKE_CXX_COMPILER=${COMPILER}"
    "-DCMAKE_CXX_FLAGS=${FLAGS}" -DCMAKE_BUILD_TYPE=Release)
run("building" "${CMAKE_COMMAND}" --build "${SCRATCH}/build")
run("running" "${SCRATCH}/build/consumer")
if(NOT output MATCHES "the answer is 42")
  message(FATAL_ERROR "the program ran and printed:\n${output}")
endif()
message(STATUS "${output}")
