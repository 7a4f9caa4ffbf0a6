#!/bin/sh
# test.sh vets, lints and tests everything. It needs Go and git; what else is
# missing on a Debian machine it installs by apt, which takes root.
#
#   ./test.sh           under ten minutes
#   ./test.sh --long    adds what takes long: more fuzzing, more repetitions
set -eu

long=
case "${1:-}" in
'') ;;
--long) long=yes ;;
*)
	echo "usage: ./test.sh [--long]" >&2
	exit 2
	;;
esac
cd "$(dirname "$0")"

step() { printf '== %s\n' "$1"; }

# The race detector needs a C compiler; the shells and tools are those that the
# installer must work with; the tests start database servers of their own.
step 'what the tests need'
missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need bash bash
[ -e /usr/share/bash-completion/bash_completion ] || missing="$missing bash-completion"
need busybox busybox
need curl curl
need dash dash
need fish fish
need flock util-linux
need gcc gcc
need gzip gzip
need jq jq
need mandoc mandoc
need openssl openssl
need shasum perl
need shellcheck shellcheck
need wget wget
need zsh zsh
[ -x /usr/sbin/zic ] || need zic libc-bin
[ -x /usr/sbin/mariadbd ] || need mariadbd mariadb-server
# Debian keeps it in a folder by version.
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need postgres postgresql
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
# Of the package prometheus one program is wanted, and not the service that comes
# with it, so it is taken out of the package.
promtool=
command -v promtool >/dev/null 2>&1 || promtool=prometheus
if [ -n "$missing$promtool" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "test.sh: error: missing packages:$missing $promtool" >&2
		echo "test.sh: hint: run it once as root; or: apt-get install$missing $promtool" >&2
		exit 1
	fi
	apt-get -qq update
fi
if [ -n "$missing" ]; then
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
fi
if [ -n "$promtool" ]; then
	unpacked=$(mktemp -d)
	chown _apt "$unpacked" # as whom apt downloads
	(cd "$unpacked" && apt-get -qq download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool)
	install -m 755 "$unpacked/usr/bin/promtool" /usr/local/bin/promtool
	rm -r "$unpacked"
fi
go version

step 'format'
# shellcheck disable=SC2046 # file names of ours, without blanks
unformatted=$(gofmt -l $(git ls-files --cached --others --exclude-standard '*.go'))
if [ -n "$unformatted" ]; then
	printf 'gofmt would change:\n%s\n' "$unformatted" >&2
	exit 1
fi
go tool -modfile=tools/go.mod shfmt -ln=posix -d install.sh dist.sh test.sh
go tool -modfile=tools/go.mod shfmt -ln=bash -d cmd/cronagent/completion/cronagent.bash

step 'shell'
shellcheck -s sh install.sh dist.sh test.sh
shellcheck -s bash .ci/run cmd/cronagent/completion/cronagent.bash
zsh -n cmd/cronagent/completion/cronagent.zsh
fish --no-execute cmd/cronagent/completion/cronagent.fish

step 'vet'
go vet ./...
go vet -tags man ./cmd/cronagent
step 'staticcheck'
go tool -modfile=tools/go.mod staticcheck ./...
go tool -modfile=tools/go.mod staticcheck -tags man ./cmd/cronagent

# Modules of their own are compiled, so that they do not rot.
for module in bench/*/go.mod; do
	step "${module%/go.mod}"
	(cd "${module%/go.mod}" && go vet ./...)
done

step 'test'
# Most tests that take long wait for something.
CGO_ENABLED=1 CRONAGENT_LONG=$long go test -race -parallel 8 -timeout 20m ./...

if [ -n "$long" ]; then
	step 'again, in another order'
	CGO_ENABLED=1 CRONAGENT_LONG=$long go test -race -timeout 40m -count 3 -shuffle on ./...
	for package in $(go list ./...); do
		for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
			step "fuzz $target"
			go test -run '^$' -fuzz "^$target\$" -fuzztime 5m "$package"
		done
	done
fi
step 'all is well'
