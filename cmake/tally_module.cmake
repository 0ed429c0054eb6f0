# What every target of this project is compiled with. An interface target, so that no flag is global.
add_library(tally_options INTERFACE)
target_compile_features(tally_options INTERFACE cxx_std_20)
target_include_directories(tally_options INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_compile_options(tally_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor
  $<$<BOOL:${TALLY_WARNINGS_AS_ERRORS}>:-Werror>)
if(TALLY_SANITIZE)
  target_compile_options(tally_options INTERFACE
    -fsanitize=${TALLY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(tally_options INTERFACE -fsanitize=${TALLY_SANITIZE})
endif()

# The C++ runtime within the program; not where a shared library that is written in C++ hands it
# objects: there is one runtime or none works. Not under a sanitizer, which brings its own.
add_library(tally_own_runtime INTERFACE)
if(NOT TALLY_SANITIZE)
  target_link_options(tally_own_runtime INTERFACE -static-libstdc++ -static-libgcc)
endif()

# Asio as awaitables and timers. Both separate-compilation macros must be the same in every file.
add_library(tally_asio INTERFACE)
target_compile_definitions(tally_asio INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(tally_asio INTERFACE Boost::headers Threads::Threads)

# One static library per module. LINKS names the modules and packages it may use: it is the
# architecture diagram, and tests/architecture checks it against the includes.
function(tally_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(tally_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(tally_${name}
    PUBLIC tally_options ${ARG_LINKS}
    PRIVATE ${ARG_PRIVATE_LINKS})
  target_include_directories(tally_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src/${name})
endfunction()

# Files that a release builds for size: neither a use, nor a negotiation, nor the log that a start
# reads passes through them. Call it where their target is made.
function(tally_small)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-Os>")
endfunction()

# One test executable per module: a change rebuilds and runs little. LABEL is unit (default), e2e or
# long. TALLY_SOURCE_DIR lets a test find its data files.
function(tally_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE tally_options ${ARG_LINKS} GTest::gtest GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${name} PRIVATE TALLY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
