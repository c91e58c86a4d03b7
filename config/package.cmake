# What `cmake --install` installs, and `cpack` packs: the program with its manual, units and an example
# (component sluice), and the libraries spop and rules (component sluice-dev).
include(GNUInstallDirs)

set(PACKAGE ${PROJECT_SOURCE_DIR}/config/package)
set(EXAMPLES ${CMAKE_INSTALL_DATADIR}/doc/sluice/examples)
# /etc, where the prefix is /usr; else below the prefix.
set(SYSCONFDIR ${CMAKE_INSTALL_SYSCONFDIR})
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(SYSCONFDIR ${CMAKE_INSTALL_FULL_SYSCONFDIR})
endif()

# Debian 12's and Debian 13's packages differ in their libraries: the later one is the newer.
set(PACKAGE_VERSION ${PROJECT_VERSION})
cmake_host_system_information(RESULT RELEASE QUERY DISTRIB_INFO)
if(RELEASE_ID STREQUAL "debian" AND RELEASE_VERSION_ID)
  string(APPEND PACKAGE_VERSION "+deb${RELEASE_VERSION_ID}")
endif()
set(CPACK_PACKAGE_CONTACT "the sluice authors <sluice@localhost>" CACHE STRING
    "Who maintains the packages, as in Debian's Maintainer")

# ---- what has to be made ---------------------------------------------------------------------------

# zipped(NAME FROM TO): TO.gz is FROM without a time in it, so that it is the same each time.
set(ZIPPED)
function(zipped from to)
  add_custom_command(OUTPUT ${to}.gz COMMAND gzip -9nc < ${from} > ${to}.gz DEPENDS ${from} VERBATIM)
  set(ZIPPED ${ZIPPED} ${CMAKE_CURRENT_BINARY_DIR}/${to}.gz PARENT_SCOPE)
endfunction()

# Debian's form of a licence: lines indented, a dot for an empty one.
file(READ ${PROJECT_SOURCE_DIR}/LICENSE LICENSE_TEXT)
string(REGEX REPLACE "^.*\n(Permission is)" "\\1" LICENSE_TEXT "${LICENSE_TEXT}")
string(STRIP "${LICENSE_TEXT}" LICENSE_TEXT)
string(REPLACE "\n\n" "\n.\n" LICENSE_TEXT "${LICENSE_TEXT}")
string(REPLACE "\n" "\n " LICENSE_TEXT " ${LICENSE_TEXT}")
configure_file(${PACKAGE}/copyright.in copyright @ONLY)
configure_file(${PACKAGE}/changelog.in changelog @ONLY)
zipped(${PROJECT_SOURCE_DIR}/config/man/sluice.1 sluice.1)
zipped(${PROJECT_SOURCE_DIR}/config/man/sluice.yml.5 sluice.yml.5)
zipped(${CMAKE_CURRENT_BINARY_DIR}/changelog changelog)
add_custom_target(manual ALL DEPENDS ${ZIPPED})

file(READ ${PROJECT_SOURCE_DIR}/config/systemd/sluice.service UNIT)
string(REPLACE "/usr/bin/sluice" "${CMAKE_INSTALL_FULL_BINDIR}/sluice" UNIT "${UNIT}")
if(NOT IS_ABSOLUTE ${SYSCONFDIR})
  string(REPLACE "/etc/sluice" "${CMAKE_INSTALL_FULL_SYSCONFDIR}/sluice" UNIT "${UNIT}")
endif()
file(CONFIGURE OUTPUT sluice.service CONTENT "${UNIT}" @ONLY)

set(PKGCONFIG ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH PREFIX_FROM_PKGCONFIG ${CMAKE_INSTALL_PREFIX}/${PKGCONFIG} ${CMAKE_INSTALL_PREFIX})
configure_file(${PACKAGE}/spop.pc.in spop.pc @ONLY)
configure_file(${PACKAGE}/rules.pc.in rules.pc @ONLY)

# ---- the program -----------------------------------------------------------------------------------

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME sluice)
set(SYSTEMD ${PROJECT_SOURCE_DIR}/config/systemd)
install(TARGETS sluice RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sluice.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sluice.yml.5.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sluice.service ${SYSTEMD}/sluice.socket
              ${SYSTEMD}/sluice-admin.socket DESTINATION lib/systemd/system)
install(FILES ${SYSTEMD}/sysusers.conf DESTINATION lib/sysusers.d RENAME sluice.conf)
install(FILES ${PROJECT_SOURCE_DIR}/config/completion/sluice.bash
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sluice)
install(FILES ${PROJECT_SOURCE_DIR}/config/completion/_sluice
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${PROJECT_SOURCE_DIR}/haproxy/sluice.yml DESTINATION ${SYSCONFDIR}/sluice)
install(FILES ${PROJECT_SOURCE_DIR}/config/sluice.schema.json
        DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice)
install(FILES ${PROJECT_SOURCE_DIR}/haproxy/haproxy.cfg ${PROJECT_SOURCE_DIR}/haproxy/haproxy-2.6.cfg
              ${PROJECT_SOURCE_DIR}/haproxy/tcp.cfg ${PROJECT_SOURCE_DIR}/haproxy/spoe-sluice.conf
              ${PROJECT_SOURCE_DIR}/config/example.yml DESTINATION ${EXAMPLES})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/copyright ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sluice)

# ---- the libraries ---------------------------------------------------------------------------------

# In a folder of their own: their names are common.
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME dev)
set(HEADERS ${CMAKE_INSTALL_INCLUDEDIR}/sluice)
install(TARGETS base limit rules spop ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/sluice)
install(FILES ${PROJECT_SOURCE_DIR}/base/base.h DESTINATION ${HEADERS}/base)
install(FILES ${PROJECT_SOURCE_DIR}/spop/spop.h DESTINATION ${HEADERS}/spop)
install(FILES ${PROJECT_SOURCE_DIR}/rules/rules.h ${PROJECT_SOURCE_DIR}/rules/explain.h
        DESTINATION ${HEADERS}/rules)
install(FILES ${PROJECT_SOURCE_DIR}/rules/limit/limit.h DESTINATION ${HEADERS}/rules/limit)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/spop.pc ${CMAKE_CURRENT_BINARY_DIR}/rules.pc
        DESTINATION ${PKGCONFIG})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/copyright ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sluice-dev)

# ---- Debian's packages -----------------------------------------------------------------------------

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON) # for /etc, which is not below the prefix
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VERSION ${PACKAGE_VERSION})
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL sluice dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_SLUICE_DESCRIPTION
    "HAProxy streams what it knows of each request to sluice over SPOP; sluice
decides it by the rules of a YAML file, with counters in its memory or
shared through Redis, and answers with variables that HAProxy acts on.")
set(CPACK_DEBIAN_SLUICE_PACKAGE_NAME sluice)
set(CPACK_DEBIAN_SLUICE_PACKAGE_SECTION net)
set(CPACK_DEBIAN_SLUICE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SLUICE_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_SLUICE_PACKAGE_RECOMMENDS "haproxy (>= 2.6)")
set(CPACK_DEBIAN_SLUICE_PACKAGE_CONTROL_EXTRA "${PACKAGE}/postinst;${PACKAGE}/prerm;${PACKAGE}/postrm")
if(IS_ABSOLUTE ${SYSCONFDIR})
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/conffiles "${SYSCONFDIR}/sluice/sluice.yml\n")
  list(APPEND CPACK_DEBIAN_SLUICE_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_BINARY_DIR}/conffiles)
endif()
set(CPACK_COMPONENT_DEV_DESCRIPTION
    "The libraries that sluice is made of: spop, HAProxy's Stream Processing
Offload Protocol, and rules, limits on requests by a YAML file. Static
archives, which do no I/O and read no clock.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME sluice-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libxxhash-dev, libyaml-dev, libpcre2-dev, libmd-dev")
include(CPack)
