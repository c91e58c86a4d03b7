# cmake -DOUTPUT=FILE.c -DSCRIPTS="A.lua;B.lua" -P embed.cmake
#
# Writes each script and its SHA-1, by which EVALSHA names it, as the C constants of redis_form.h.
set(code "#include \"agent/store/redis_form.h\"\n")
foreach(script IN LISTS SCRIPTS)
  get_filename_component(name ${script} NAME_WE)
  file(SHA1 ${script} sha1)
  file(READ ${script} text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
  string(APPEND code "
static const char ${name}[] =
    \"${text}\";

const struct redis_limit__script redis_limit__script_${name} = {
    .sha1 = {(const uint8_t *)\"${sha1}\", 40},
    .text = {(const uint8_t *)${name}, sizeof(${name}) - 1},
};
")
endforeach()
file(WRITE ${OUTPUT} "${code}")
