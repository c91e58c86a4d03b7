#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/admin/admin.h"

const char *admin_read_token(struct slice token_file, char token[ADMIN_TOKEN_MAX + 1])
{
    int fd = open((const char *)token_file.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t size = fd < 0 ? -1 : read(fd, token, ADMIN_TOKEN_MAX + 1);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (size < 0)
        return strerror(error);
    if (size > ADMIN_TOKEN_MAX)
        return "it is longer than 1024 bytes";
    token[size] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    return *token ? NULL : "its first line is empty";
}
