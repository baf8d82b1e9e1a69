# troupe_options: what every target of ours is compiled with. It never reaches those who use the
# library: their warnings are their own.
add_library(troupe_options INTERFACE)
target_compile_options(troupe_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  # The watchdog walks frame pointers, and so do the profilers.
  -fno-omit-frame-pointer
  # Everything is linked into the program itself; reading a thread-local is then one instruction
  # and not a call.
  -ftls-model=initial-exec)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(troupe_options INTERFACE -Wthread-safety)
else()
  # Both false in GCC 12: std::expected members that are never read, and "a" + std::string
  # (docs/design/0002-compilers-and-presets.md).
  target_compile_options(troupe_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
endif()
if(TROUPE_WERROR)
  target_compile_options(troupe_options INTERFACE -Werror)
endif()

# A quarter of the link time of the default linker, and the only one that is as new as the compiler.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  include(CheckLinkerFlag)
  check_linker_flag(CXX -fuse-ld=lld TROUPE_HAS_LLD)
  if(TROUPE_HAS_LLD)
    target_link_options(troupe_options INTERFACE -fuse-ld=lld)
  endif()
endif()
