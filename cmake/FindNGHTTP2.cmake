# nghttp2, which comes without a package file of its own: NGHTTP2::nghttp2. Installed beside
# troupeConfig.cmake, which finds it the same way.

find_path(NGHTTP2_INCLUDE_DIR nghttp2/nghttp2.h)
find_library(NGHTTP2_LIBRARY nghttp2)
if(NGHTTP2_INCLUDE_DIR)
  file(STRINGS "${NGHTTP2_INCLUDE_DIR}/nghttp2/nghttp2ver.h" NGHTTP2_VERSION
       REGEX "^#define NGHTTP2_VERSION \"")
  string(REGEX REPLACE "^.*\"([0-9.]+).*$" "\\1" NGHTTP2_VERSION "${NGHTTP2_VERSION}")
endif()
mark_as_advanced(NGHTTP2_INCLUDE_DIR NGHTTP2_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NGHTTP2 REQUIRED_VARS NGHTTP2_LIBRARY NGHTTP2_INCLUDE_DIR
                                  VERSION_VAR NGHTTP2_VERSION)
if(NGHTTP2_FOUND AND NOT TARGET NGHTTP2::nghttp2)
  add_library(NGHTTP2::nghttp2 UNKNOWN IMPORTED)
  set_target_properties(NGHTTP2::nghttp2 PROPERTIES
                        IMPORTED_LOCATION "${NGHTTP2_LIBRARY}"
                        INTERFACE_INCLUDE_DIRECTORIES "${NGHTTP2_INCLUDE_DIR}")
endif()
