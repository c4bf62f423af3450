# Builds the server and puts it into an image that has no shell and no package manager.
#
#   docker build -t personio-scim .
#
# The server writes no files but a state file, if it is given one, so the root file system may be read-only:
#
#   docker run --read-only -p 8080:8080 personio-scim demo
#
# deploy/compose.yaml runs it against a real Personio.

FROM rust:1.95-bookworm AS builder
WORKDIR /build

# Writes the list of dependencies into the binary, where tools that make an SBOM or look for advisories (syft, trivy,
# cargo audit bin) find it.
RUN cargo install cargo-auditable --version 0.7.7 --locked

# The dependencies first, around an empty crate: this layer is built again only when
# Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/load \
    && touch src/lib.rs benches/query.rs benches/snapshot.rs benches/load/ceiling.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo auditable build --release --locked

# docs/ and scim-schemas/ are compiled into the binary.
COPY docs/ docs/
COPY scim-schemas/ scim-schemas/
COPY src/ src/
# Copied files keep their age, and cargo goes by age: without this it would keep the empty crate.
RUN touch src/lib.rs src/main.rs \
    && cargo auditable build --release --locked \
    && mkdir /state

# The C library, the certificates of the public authorities, and a user that is not root.
FROM gcr.io/distroless/cc-debian12:nonroot

# docker build --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) …
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="personio-scim" \
      org.opencontainers.image.description="Reads the people of a Personio company over SCIM 2.0: on demand, read-only, without their personal data" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

COPY --from=builder /build/target/release/personio-scim /usr/local/bin/personio-scim
# A volume mounted here belongs to the server's user, as this folder does: a place for a state file.
COPY --from=builder --chown=65532:65532 /state /var/lib/personio-scim

# Inside a container 127.0.0.1 could not be reached from outside.
ENV SCIM_LISTEN=0.0.0.0:8080
# Memory that a load no longer needs is given back at once.
ENV MIMALLOC_PURGE_DELAY=0
EXPOSE 8080
USER 65532

HEALTHCHECK CMD ["/usr/local/bin/personio-scim", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/personio-scim"]
CMD ["serve"]
