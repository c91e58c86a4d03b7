#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agent/metrics_parts.h"

static void write_cpu(FILE *stream)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    metrics__head(stream, "process_cpu_seconds_total", "counter",
                  "User and system CPU time in seconds.");
    fprintf(stream, "process_cpu_seconds_total %.6f\n", seconds);
}

/* The first line of a file that begins so. */
static bool read_line(const char *path, const char *beginning, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool is_found = false;
    while (file && !is_found && fgets(line, (int)size, file))
        is_found = strncmp(line, beginning, strlen(beginning)) == 0;
    if (file)
        fclose(file);
    return is_found;
}

/* The number that follows so many spaces. */
static uint64_t number_after(const char *text, int spaces)
{
    for (; spaces && *text; text++)
        spaces -= *text == ' ';
    return strtoull(text, NULL, 10);
}

static void write_memory(FILE *stream)
{
    char line[256];
    if (!read_line("/proc/self/statm", "", line, sizeof(line)))
        return;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    metrics__single(stream, "process_virtual_memory_bytes", "gauge", "Virtual memory in bytes.",
                    number_after(line, 0) * page);
    metrics__single(stream, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.",
                    number_after(line, 1) * page);
}

static void write_descriptors(FILE *stream)
{
    struct rlimit limit;
    uint64_t open = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder) {
        while (readdir(folder))
            open++;
        closedir(folder);
        /* Without "." and "..", and the folder itself. */
        metrics__single(stream, "process_open_fds", "gauge", "Open file descriptors.", open - 3);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics__single(stream, "process_max_fds", "gauge",
                        "File descriptors that may be open at once.", limit.rlim_cur);
}

/* When the machine was started, in seconds since the epoch; where /proc has nothing but processes,
 * as by systemd's ProcSubset=pid, reckoned as the kernel does it. */
static double boot_time(void)
{
    char line[1024];
    struct timespec now;
    struct timespec up;
    if (read_line("/proc/stat", "btime ", line, sizeof(line)))
        return (double)number_after(line, 1);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return (double)(now.tv_sec - up.tv_sec - (now.tv_nsec < up.tv_nsec));
}

/* proc(5): a process's start is told in ticks since the machine's, in its 22nd field. The second
 * field, its name in parentheses, may have anything in it. */
static void write_start(FILE *stream)
{
    char line[1024];
    const char *name_end =
        read_line("/proc/self/stat", "", line, sizeof(line)) ? strrchr(line, ')') : NULL;
    if (!name_end)
        return;
    double ticks = (double)number_after(name_end, 20);
    metrics__head(stream, "process_start_time_seconds", "gauge",
                  "When the process was started, in seconds since the epoch.");
    fprintf(stream, "process_start_time_seconds %.2f\n",
            boot_time() + ticks / (double)sysconf(_SC_CLK_TCK));
}

void metrics__write_process(FILE *stream)
{
    write_cpu(stream);
    write_memory(stream);
    write_descriptors(stream);
    write_start(stream);
}
