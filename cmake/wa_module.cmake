# wa_module(NAME SOURCES … DEPENDS wa::… LIBS third-party… TESTS … TEST_DEPENDS wa::… ALONE …)
#
# One static library (wa::NAME) and one test binary (NAME_test) for the current folder. DEPENDS lists the
# modules whose headers this one may include: tests/tidy checks every #include against it, so the
# lists are the architecture. LIBS are third-party targets, kept out of our headers where possible.
# A module without SOURCES is header-only. ALONE are sources and tests that are compiled by themselves even where
# WA_UNITY joins the others, since what they define for themselves has a neighbour's name.
function(wa_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPENDS;LIBS;TESTS;TEST_DEPENDS;ALONE" ${ARGN})
  set_source_files_properties(${M_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  if(M_SOURCES)
    add_library(wa_${name} STATIC ${M_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(wa_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(wa::${name} ALIAS wa_${name})
  target_include_directories(wa_${name} ${scope} "${CMAKE_SOURCE_DIR}")
  target_link_libraries(wa_${name} ${scope} ${M_DEPENDS} ${M_LIBS})
  if(M_TESTS)
    add_executable(${name}_test ${M_TESTS})
    target_link_libraries(${name}_test PRIVATE wa_${name} ${M_TEST_DEPENDS} wa::test_support GTest::gmock_main)
    # Tests run once, so it pays to translate them quickly: what they test is optimised as users get it.
    target_compile_options(${name}_test PRIVATE $<IF:$<CXX_COMPILER_ID:GNU>,-O1,-O0> $<$<BOOL:${WA_FUZZ}>:-fno-sanitize=fuzzer-no-link>)
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES LABELS unit)
  endif()
endfunction()

# wa_program(NAME SOURCES … DEPENDS wa::… LIBS …): an executable, placed in <build>/bin.
function(wa_program name)
  cmake_parse_arguments(P "" "" "SOURCES;DEPENDS;LIBS" ${ARGN})
  add_executable(${name} ${P_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${P_DEPENDS} ${P_LIBS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()
