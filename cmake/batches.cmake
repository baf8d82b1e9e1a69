# Several sources in one compilation: docs/design/0055-ci-time.md.
#
# What a file of ours costs to compile is mostly its headers and what they instantiate. Joined, they
# are paid for once for all files of a batch. Where it is on, a source that forgets an include may
# compile all the same, and a change of one file compiles its neighbours again. So it is off unless
# asked for. The library must stay as it is in `release` and `dev`: there a missing include is
# noticed. Its tests are joined where somebody builds from nothing: .ci/run says so.
set(TROUPE_BATCH 0 CACHE STRING "Up to so many sources of a component are compiled as one, or 0")
set(tests "${TROUPE_BATCH}")
if(DEFINED ENV{TROUPE_BATCH_TESTS})
  set(tests "$ENV{TROUPE_BATCH_TESTS}")
endif()
set(TROUPE_BATCH_TESTS "${tests}" CACHE STRING "The same of its tests")
unset(tests)

if(TROUPE_BATCH GREATER 1 OR TROUPE_BATCH_TESTS GREATER 1)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(TROUPE_BATCH_TOOL "${PROJECT_SOURCE_DIR}/tools/batch_sources.py")
  file(STRINGS "${PROJECT_SOURCE_DIR}/tools/batch_alone.txt" TROUPE_ALONE REGEX "^[a-z]")
  list(TRANSFORM TROUPE_ALONE REPLACE " *#.*$" "")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
               "${PROJECT_SOURCE_DIR}/tools/batch_alone.txt")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # It takes a source that was joined for a header, whose unnamed namespaces would be a mistake.
    add_compile_options(-Wno-subobject-linkage)
  endif()
endif()

# troupe_batches(<variable> <program> <size> <source>...): the sources to compile instead of those.
function(troupe_batches variable program limit)
  if(limit LESS 2)
    set(${variable} ${ARGN} PARENT_SCOPE)
    return()
  endif()
  set(left "")
  set(sources "")
  set(joined "")
  foreach(source IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
               OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE name)
    if(name IN_LIST TROUPE_ALONE)
      list(APPEND sources "${source}")
    else()
      list(APPEND left "${path}")
    endif()
  endforeach()

  # Of equal size, and not whole ones and a rest: the cores should end together.
  list(LENGTH left count)
  set(number 0)
  set(batches 0)
  if(count GREATER 0)
    math(EXPR batches "(${count} + ${limit} - 1) / ${limit}")
  endif()
  while(number LESS batches)
    math(EXPR first "${count} * ${number} / ${batches}")
    math(EXPR size "${count} * (${number} + 1) / ${batches} - ${first}")
    list(SUBLIST left ${first} ${size} members)
    set(batch "${CMAKE_CURRENT_BINARY_DIR}/${program}_batch_${number}.cpp")
    add_custom_command(OUTPUT "${batch}" DEPENDS ${members} "${TROUPE_BATCH_TOOL}"
                       COMMAND "${Python3_EXECUTABLE}" -B "${TROUPE_BATCH_TOOL}" "${batch}"
                               ${members}
                       COMMENT "Joining ${size} sources of ${program}" VERBATIM)
    list(APPEND sources "${batch}")
    list(APPEND joined "${batch}")
    math(EXPR number "${number} + 1")
  endwhile()
  if(joined)
    # Of no use but that: what belongs to a target that links nothing waits for nothing. A batch
    # that belongs to the program alone is joined, and so compiled, once all it links is linked.
    add_custom_target(${program}_batches DEPENDS ${joined})
  endif()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
