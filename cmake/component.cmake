# How a component, a program and the whole library become targets.
#
# src/troupe/LAYERS says which component may use which. It is read here, so the link line and the
# table that people read (and tools/check_layers.py enforces) cannot disagree.

set(TROUPE_COMPONENTS "")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             "${PROJECT_SOURCE_DIR}/src/troupe/LAYERS")
file(STRINGS "${PROJECT_SOURCE_DIR}/src/troupe/LAYERS" rows REGEX "^[a-z]")
foreach(row IN LISTS rows)
  string(REGEX REPLACE "#.*$" "" row "${row}")
  if(NOT row MATCHES "^([a-z_]+) *:(.*)$")
    message(FATAL_ERROR "src/troupe/LAYERS: cannot read '${row}'; write 'component : its uses'")
  endif()
  set(name "${CMAKE_MATCH_1}")
  string(REGEX MATCHALL "[a-z_]+" TROUPE_LAYER_${name} "${CMAKE_MATCH_2}")
  list(APPEND TROUPE_COMPONENTS "${name}")
endforeach()
unset(rows)
unset(row)
unset(name)

# troupe_component(<name>
#     HEADERS  a.hpp internal/b.hpp ...   every header; those under internal/ are not promises
#     SOURCES  a.cpp ...                  none: the component is headers only
#     TESTS    a_test.cpp ...             together they are the program <name>_test
#     BENCHES  a_bench.cpp ...            each is a program of its own, a_bench
#     FUZZERS  a_fuzz.cpp ...             libFuzzer targets, built by the preset fuzz only
#     SOAKS    a_soak.cpp ...             long runs, each a program, a_soak
#     LINK     spdlog::spdlog_header_only third parties; never visible to the users of the component
#     TEST_LINK ...                       what the tests link besides: third parties, troupe::sim
#     TESTS_OVER_TLS A.* B.* -A.x         which of them ctest runs a second time, over TLS
# )
function(troupe_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" ""
                        "HEADERS;SOURCES;TESTS;TESTS_OVER_TLS;BENCHES;FUZZERS;SOAKS;LINK;TEST_LINK")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_component(${name}): do not know '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT name IN_LIST TROUPE_COMPONENTS)
    message(FATAL_ERROR "component '${name}' has no row in src/troupe/LAYERS: add one")
  endif()

  set(internal_headers ${arg_HEADERS})
  list(FILTER internal_headers INCLUDE REGEX "^internal/")
  set(public_headers ${arg_HEADERS})
  list(FILTER public_headers EXCLUDE REGEX "^internal/")

  if(arg_SOURCES)
    # Static: the thread-local fast paths are compiled for code that is in the program itself.
    troupe_batches(sources troupe_${name} ${TROUPE_BATCH} ${arg_SOURCES})
    add_library(troupe_${name} STATIC ${sources})
    set(visible PUBLIC)
  else()
    add_library(troupe_${name} INTERFACE)
    set(visible INTERFACE)
  endif()
  add_library(troupe::${name} ALIAS troupe_${name})
  set_target_properties(troupe_${name} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(troupe_${name} ${visible} cxx_std_23)

  # Public headers must compile on their own with nothing but what LAYERS allows. The internal
  # ones travel along when installed, since templates need some of them, but promise nothing.
  target_sources(troupe_${name} ${visible}
                 FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/src" FILES ${public_headers})
  set(file_sets HEADERS)
  if(internal_headers)
    target_sources(troupe_${name} ${visible} FILE_SET internal TYPE HEADERS
                   BASE_DIRS "${PROJECT_SOURCE_DIR}/src" FILES ${internal_headers})
    list(APPEND file_sets internal)
  endif()
  set_target_properties(troupe_${name} PROPERTIES
                        VERIFY_INTERFACE_HEADER_SETS ON INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)

  list(TRANSFORM TROUPE_LAYER_${name} PREPEND "troupe::" OUTPUT_VARIABLE uses)
  target_link_libraries(troupe_${name} ${visible} ${uses} Threads::Threads)
  if(arg_SOURCES)
    target_link_libraries(troupe_${name} PRIVATE $<BUILD_INTERFACE:troupe_options>)
    troupe_link_private(troupe_${name} ${arg_LINK})
  endif()

  set_property(GLOBAL APPEND PROPERTY TROUPE_BUILT_COMPONENTS ${name})
  if(TROUPE_INSTALL)
    set(install_sets "")
    foreach(file_set IN LISTS file_sets)
      list(APPEND install_sets FILE_SET ${file_set} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    endforeach()
    install(TARGETS troupe_${name} EXPORT troupeTargets
            ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" ${install_sets})
  endif()

  if(TROUPE_BUILD_TESTS AND arg_TESTS)
    troupe_batches(sources ${name}_test ${TROUPE_BATCH_TESTS} ${arg_TESTS})
    add_executable(${name}_test ${sources})
    target_link_libraries(${name}_test PRIVATE troupe::${name} troupe_options ${arg_LINK}
                          ${arg_TEST_LINK} GTest::gmock GTest::gtest GTest::gtest_main)
    if("troupe::sim" IN_LIST arg_TEST_LINK OR name STREQUAL "sim")
      troupe_simulated_test(${name}_test)
    endif()
    # Of the tests only what they test is optimized: it is the library under them.
    if(TROUPE_SANITIZE)
      # What instruments them takes twice as long when they are optimized.
      target_compile_options(${name}_test PRIVATE -O0)
    elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # Half the time of -O3, and no longer than -O0. Examples are compiled as users do.
      target_compile_options(${name}_test PRIVATE -Og)
    endif()
    troupe_discover_tests(${name}_test PREFIX "${name}." LABEL ${name})
    if(arg_TESTS_OVER_TLS)
      list(JOIN arg_TESTS_OVER_TLS ":" filter)
      troupe_discover_tests(${name}_test PREFIX "${name}.tls." LABEL ${name} FILTER "${filter}"
                            ENVIRONMENT TROUPE_TEST_TLS=1 LIST ${name}_tests_over_tls)
    endif()
  endif()
  if(TROUPE_BUILD_BENCH)
    foreach(source IN LISTS arg_BENCHES)
      get_filename_component(program "${source}" NAME_WE)
      add_executable(${program} ${source})
      target_link_libraries(${program} PRIVATE troupe::${name} troupe_options ${arg_LINK}
                            benchmark::benchmark benchmark::benchmark_main)
    endforeach()
  endif()
  if(TROUPE_BUILD_TESTS)
    foreach(source IN LISTS arg_SOAKS)
      get_filename_component(program "${source}" NAME_WE)
      add_executable(${program} ${source})
      target_link_libraries(${program} PRIVATE troupe::${name} troupe_options ${arg_LINK})
      troupe_is_no_test(${program})
    endforeach()
  endif()
  if(TROUPE_SANITIZE MATCHES "fuzzer")
    foreach(source IN LISTS arg_FUZZERS)
      get_filename_component(program "${source}" NAME_WE)
      add_executable(${program} ${source})
      target_link_libraries(${program} PRIVATE troupe::${name} troupe_options ${arg_LINK})
      target_link_options(${program} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
endfunction()

# A test program that simulates: `simulated_tests` builds it, and the C library's time, chance,
# sleep and threads are refused to its simulated steps. Not with sanitizers, which replace the same
# functions: then there is no such library.
function(troupe_simulated_test program)
  if(NOT TARGET simulated_tests)
    add_custom_target(simulated_tests)
  endif()
  add_dependencies(simulated_tests ${program})
  target_link_libraries(${program} PRIVATE $<TARGET_NAME_IF_EXISTS:troupe_sim_interpose>)
endfunction()

# A program no test runs: with sanitizers it is built when it is named.
function(troupe_is_no_test program)
  if(TROUPE_SANITIZE)
    set_target_properties(${program} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endfunction()

# Links third parties so that nobody who installs the library has to find what it does not need:
# what is headers only ends with our build, what must be linked is looked for by troupeConfig.cmake.
function(troupe_link_private target)
  foreach(library IN LISTS ARGN)
    if(library IN_LIST TROUPE_LINKED_LIBRARIES)
      target_link_libraries(${target} PRIVATE ${library})
      set_property(GLOBAL APPEND PROPERTY TROUPE_USED_LIBRARIES ${library})
    else()
      target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:${library}>)
    endif()
  endforeach()
endfunction()

# troupe_program(<name> SOURCES main.cpp ... LINK troupe::http CLI11::CLI11 ...)
# An application, example or bench of its own: it may use everything.
function(troupe_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_program(${name}): do not know '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE troupe::troupe troupe_options ${arg_LINK})
endfunction()

# troupe_example(<name>
#     MAIN  main.cpp        the program <name>
#     PARTS routes.cpp ...  what it and its test share
#     TEST  x_test.cpp      the program <name>_test, whose tests ctest runs
#     LINK  Boost::json ... what both link besides troupe::troupe
# )
function(troupe_example name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MAIN;TEST" "PARTS;LINK")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_example(${name}): do not know '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  set(parts ${arg_PARTS})
  if(TROUPE_BATCH LESS 2)
    # Once for both. Joined with each of the two they cost less than on their own.
    add_library(${name}_parts OBJECT ${arg_PARTS})
    target_link_libraries(${name}_parts PRIVATE troupe::troupe troupe_options ${arg_LINK})
    set(parts $<TARGET_OBJECTS:${name}_parts>)
  endif()
  troupe_batches(sources ${name} ${TROUPE_BATCH} ${parts} ${arg_MAIN})
  troupe_program(${name} SOURCES ${sources} LINK ${arg_LINK})
  troupe_is_no_test(${name})
  if(TROUPE_BUILD_TESTS)
    troupe_batches(sources ${name}_test ${TROUPE_BATCH} ${parts} ${arg_TEST})
    troupe_program(${name}_test SOURCES ${sources} LINK ${arg_LINK} GTest::gtest GTest::gtest_main)
    troupe_discover_tests(${name}_test PREFIX "examples." LABEL examples)
  endif()
endfunction()

# Adds what stands in each folder: its CMakeLists.txt, or else every subfolder that has one.
function(troupe_add_folders)
  foreach(folder IN LISTS ARGN)
    if(EXISTS "${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt")
      add_subdirectory("${folder}")
      continue()
    endif()
    file(GLOB lists CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}"
         "${PROJECT_SOURCE_DIR}/${folder}/*/CMakeLists.txt")
    foreach(list IN LISTS lists)
      get_filename_component(subfolder "${list}" DIRECTORY)
      add_subdirectory("${subfolder}")
    endforeach()
  endforeach()
endfunction()

# troupe::troupe is all components there are; and the package that find_package(troupe) finds.
function(troupe_finish_components)
  get_property(built GLOBAL PROPERTY TROUPE_BUILT_COMPONENTS)
  add_library(troupe INTERFACE)
  add_library(troupe::troupe ALIAS troupe)
  list(TRANSFORM built PREPEND "troupe::" OUTPUT_VARIABLE targets)
  target_link_libraries(troupe INTERFACE ${targets})
  if(NOT TROUPE_INSTALL)
    return()
  endif()

  include(CMakePackageConfigHelpers)
  get_property(TROUPE_USED_LIBRARIES GLOBAL PROPERTY TROUPE_USED_LIBRARIES)
  set(TROUPE_FIND_DEPENDENCIES "find_dependency(Threads)\n")
  list(REMOVE_DUPLICATES TROUPE_USED_LIBRARIES)
  foreach(library IN LISTS TROUPE_USED_LIBRARIES)
    string(APPEND TROUPE_FIND_DEPENDENCIES "find_dependency(${TROUPE_FIND_${library}})\n")
  endforeach()
  set(package "${CMAKE_INSTALL_LIBDIR}/cmake/troupe")
  install(TARGETS troupe EXPORT troupeTargets)
  install(EXPORT troupeTargets NAMESPACE troupe:: DESTINATION "${package}")
  configure_package_config_file(
    cmake/troupeConfig.cmake.in "${PROJECT_BINARY_DIR}/troupeConfig.cmake"
    INSTALL_DESTINATION "${package}" NO_SET_AND_CHECK_MACRO)
  # Nothing is promised between minor versions before 1.0.
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/troupeConfigVersion.cmake"
                                   COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/troupeConfig.cmake"
                "${PROJECT_BINARY_DIR}/troupeConfigVersion.cmake"
                cmake/FindNGHTTP2.cmake DESTINATION "${package}")
endfunction()
