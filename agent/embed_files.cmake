# cmake -DOUTPUT=FILE.c -DFILES="haproxy/a.cfg;b.conf" -P embed_files.cmake
#
# Writes the files' texts as the C constants of init_files.h, each named by its file: init_file_a_cfg.
set(code "#include \"agent/init_files.h\"\n")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} name)
  file(READ ${file} text)
  string(REGEX REPLACE "([\\\"])" "\\\\\\1" text "${text}")
  string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
  string(APPEND code "
static const char ${name}[] =
    \"${text}\";

const struct slice init_file_${name} = {(const uint8_t *)${name}, sizeof(${name}) - 1};
")
endforeach()
file(WRITE ${OUTPUT} "${code}")
