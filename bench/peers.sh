# Builds the peers of a benchmark from Debian's packages; for the run scripts beside this file.

export PATH=/usr/bin:$PATH # the packaged compilers

need() {
  dpkg -s "$@" >/dev/null 2>&1 && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >&2
}

# build_go DIRECTORY SOURCE: makes DIRECTORY/go.
build_go() {
  [[ -x $1/go && ! $2 -nt $1/go ]] && return
  need golang-go
  GO111MODULE=off go build -o "$1/go" "$2"
}

# build_tokio DIRECTORY SOURCES NAME: makes DIRECTORY/tokio of SOURCES/NAME.rs and its Cargo.toml.
build_tokio() {
  [[ -x $1/tokio && ! $2/$3.rs -nt $1/tokio ]] && return
  need cargo librust-tokio-dev
  mkdir -p "$1/tokio-src" && cp "$2"/* "$1/tokio-src"
  (cd "$1/tokio-src" && CARGO_HOME=$1/tokio-src/home cargo build -q --release --offline \
    --target-dir target --config 'source.crates-io.replace-with="debian"' \
    --config 'source.debian.directory="/usr/share/cargo/registry"')
  cp "$1/tokio-src/target/release/$3" "$1/tokio"
}
