# The image is one static binary, for nobody in particular: no shell, no packages, nothing to update but itself.
#
# The tree is mounted, not copied: go build finds the version in its .git, and nothing of it stays behind in a layer.
FROM golang:1.26.8-trixie AS build
WORKDIR /src
RUN --mount=type=bind,target=. --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -o /out/teishi ./cmd/teishi

FROM scratch
# PostgreSQL and Redis that others run show certificates of public authorities.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/teishi /teishi
USER 65532:65532
EXPOSE 50051 9090
ENTRYPOINT ["/teishi"]
