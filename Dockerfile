# An image of sluice on Debian 13: what `docker compose -f docker-compose.distributed.yml up` builds.
#
#     docker build -t sluice .
#     docker run --read-only -v "$PWD/sluice.yml:/etc/sluice/sluice.yml:ro" sluice
#
# The rule file has to listen on an address that others reach ("tcp://0.0.0.0:9000"), or on a unix
# socket in a volume. The agent runs unprivileged, needs no capability and writes no file but that socket.

ARG DEBIAN=debian:13.6-slim

FROM ${DEBIAN} AS build
ARG DEBIAN_FRONTEND=noninteractive
LABEL org.opencontainers.image.title="sluice (build)"
# The list of packages is the repository's one; OpenSSL's is for TLS to Redis.
COPY tests/lib/packages /tmp/packages
RUN apt-get update && \
    apt-get install -y --no-install-recommends libssl-dev $(/bin/bash /tmp/packages --list build)
WORKDIR /sluice
COPY . .
RUN cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLUICE_TESTS=OFF \
        -DCMAKE_INSTALL_PREFIX=/usr/local && \
    cmake --build build --target sluice && \
    install -D -s build/agent/sluice /image/usr/local/bin/sluice
# Which packages have the libraries that it is linked with: so no second list has to be kept.
RUN ldd /image/usr/local/bin/sluice | awk '$2 == "=>" { print $3 }' | xargs readlink -f | \
    xargs dpkg-query -S | cut -d: -f1 | sort -u > /image/libraries && cat /image/libraries

FROM ${DEBIAN}
ARG DEBIAN_FRONTEND=noninteractive
COPY --from=build /image/libraries /tmp/libraries
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates $(cat /tmp/libraries) && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt/* /var/log/dpkg.log /tmp/libraries
COPY --from=build /image/usr/local/bin/sluice /usr/local/bin/sluice

LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.description="Rate limiter for HAProxy, over SPOP" \
      org.opencontainers.image.licenses="MIT"

# A number, so that Kubernetes sees that it isn't root's.
USER 9000:9000

# SPOP, and the metrics.
EXPOSE 9000 9901

# A question that no rule is for: it is decided, and charged to nobody. SLUICE_ADDRESS is where the
# rule file listens.
ENV SLUICE_ADDRESS=tcp://127.0.0.1:9000
HEALTHCHECK --interval=5s --timeout=3s --retries=3 --start-period=10s \
    CMD sluice ask --timeout 2000 --message health "$SLUICE_ADDRESS" || exit 1

# SIGTERM, which docker stop sends, answers what has been received and ends with 0.
ENTRYPOINT ["sluice"]
CMD ["serve", "--config", "/etc/sluice/sluice.yml"]
