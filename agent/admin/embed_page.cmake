# cmake -DOUTPUT=FILE.c -DFOLDER=status -P embed_page.cmake
#
# Joins the status page's parts and writes it as the C constants of page.h: the page, and the
# Content-Security-Policy that lets nothing run but what was in it when it was built.
cmake_minimum_required(VERSION 3.25)

# The base64 of a SHA-256 in hexadecimal: three of its digits are two of base64's.
function(hash_of text variable)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(SHA256 digits "${text}")
  string(APPEND digits "00") # to a multiple of three; base64's own padding takes its place
  set(base64 "")
  foreach(at RANGE 0 63 3)
    string(SUBSTRING ${digits} ${at} 3 three)
    math(EXPR high "0x${three} >> 6")
    math(EXPR low "0x${three} & 63")
    string(SUBSTRING ${alphabet} ${high} 1 first)
    string(SUBSTRING ${alphabet} ${low} 1 second)
    string(APPEND base64 ${first}${second})
  endforeach()
  string(SUBSTRING ${base64} 0 43 base64)
  set(${variable} "'sha256-${base64}='" PARENT_SCOPE)
endfunction()

file(READ ${FOLDER}/status.html page)
file(READ ${FOLDER}/status.css style)
set(script "")
foreach(part draw rates status)
  file(READ ${FOLDER}/${part}.js text)
  string(APPEND script "${text}")
endforeach()
hash_of("${style}" style_hash)
hash_of("${script}" script_hash)
string(REPLACE "@STYLE@" "${style}" page "${page}")
string(REPLACE "@SCRIPT@" "${script}" page "${page}")

string(REGEX REPLACE "([\\\"?])" "\\\\\\1" page "${page}")
string(REPLACE "\n" "\\n\"\n    \"" page "${page}")
file(WRITE ${OUTPUT} "#include \"agent/admin/page.h\"

static const char page[] =
    \"${page}\";

const struct slice status_page_text = {(const uint8_t *)page, sizeof(page) - 1};

const char status_page_policy[] =
    \"default-src 'none'; style-src ${style_hash}; script-src ${script_hash}; \"
    \"connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; \"
    \"frame-ancestors 'none'\";
")
