# The image that helm/ runs. `docker build --tag rettidig .`
#
# The binary is linked against the C library, libgcc and zlib of this Debian and nothing else (OpenSSL and librdkafka
# are inside it); its SQL, profiles and reference files are compiled in. The image has those, certificates, and no shell. What is copied
# and what the binary asks for is held by tests/python/test_image.py and test_chart_program.py.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake perl pkg-config zlib1g-dev ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY sql sql
COPY connectors connectors
COPY pipeline pipeline
# Members of the workspace, without which Cargo.lock is not that of this workspace; nothing of them is compiled.
COPY tests tests
RUN cargo build --locked --release --package rettidig
# Whatever the processor's folder is called.
RUN cp --dereference /lib/*-linux-gnu/libz.so.1 /usr/lib/libz.so.1

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/lib/libz.so.1 /usr/lib/libz.so.1
COPY --from=build /src/target/release/rettidig /usr/local/bin/rettidig
# By number, so that Kubernetes sees that it is not root.
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["/usr/local/bin/rettidig"]
