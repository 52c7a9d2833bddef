# The same binary as `make build`, by the same rule of the Makefile, for the same user as `make image`.
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.26 AS build
ARG TARGETOS=linux
ARG TARGETARCH=amd64
ARG VERSION=dev
ARG COMMIT=unknown
WORKDIR /src

# Modules first: they change less often than the code and stay in this layer.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH} make bin/arcane-operator VERSION=${VERSION} COMMIT=${COMMIT}

# No shell, no package manager, certificates and time zones only; 65532 is its "nonroot".
FROM gcr.io/distroless/static:nonroot
COPY --from=build /src/bin/arcane-operator /arcane-operator
USER 65532:65532
ENTRYPOINT ["/arcane-operator"]
