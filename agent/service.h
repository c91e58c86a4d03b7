/* Telling the service manager (systemd) what goes on; does nothing where there is none. */
#pragma once

void service_ready(void);
void service_reloading(void);
void service_stopping(void);
