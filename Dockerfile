# One static binary, made by `make build`, on a base with certificates (https) and time zones.
#
#   make build && docker build -t nightwatch .
#
# Without an image registry: --build-arg BASE=scratch. The binary brings time zones of its own; for https mount a
# certificate bundle at /etc/ssl/certs/ca-certificates.crt. Neither base has a shell: process tasks name their program.
ARG BASE=gcr.io/distroless/static-debian12
FROM ${BASE}
COPY bin/nightwatch /usr/local/bin/nightwatch
# Nobody's user, by number: scratch has no /etc/passwd.
USER 65532:65532
EXPOSE 7420
# SIGTERM drains; see --drain-timeout for how long to wait before SIGKILL.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/nightwatch"]
CMD ["node"]
