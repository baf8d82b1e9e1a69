# TROUPE_SANITIZE=address,undefined | thread | fuzzer-no-link,address,undefined
# Global and not part of troupe_options: a program where only some objects know the sanitizer
# reports errors that are not there.
if(TROUPE_SANITIZE)
  add_compile_options("-fsanitize=${TROUPE_SANITIZE}")
  add_link_options("-fsanitize=${TROUPE_SANITIZE}")
  if(TROUPE_SANITIZE MATCHES "undefined")
    # Continue means: the test passes and nobody reads the log.
    add_compile_options(-fno-sanitize-recover=undefined)
    # A third of the time a file takes to compile, for what the address sanitizer says as well: a
    # null pointer that is used, an object that ends too soon or is of another type.
    add_compile_options(-fno-sanitize=null,object-size,vptr)
  endif()
endif()
