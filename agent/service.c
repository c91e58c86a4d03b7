#include "agent/service.h"

#ifdef SLUICE_SYSTEMD
#include <systemd/sd-daemon.h>
#include <time.h>

void service_ready(void)
{
    sd_notify(0, "READY=1");
}

void service_reloading(void)
{
    /* Type=notify-reload wants to know when, so that it can tell this reload from an older one. */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
               (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void service_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}
#else
void service_ready(void)
{
}

void service_reloading(void)
{
}

void service_stopping(void)
{
}
#endif
