/* The files of haproxy/, as they were when this was built (embed_files.cmake). */
#pragma once

#include "base/base.h"

extern const struct slice init_file_haproxy_cfg;
extern const struct slice init_file_haproxy_2_6_cfg;
extern const struct slice init_file_spoe_sluice_conf;
extern const struct slice init_file_sluice_yml;
