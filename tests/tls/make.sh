#!/bin/sh
# Makes the certificates of the TLS tests: a CA, a server (localhost, *.example.test, 127.0.0.1) and a client, valid
# from 2020 to 2120 whatever the clock says. The keys are public by being here; nothing trusts them but the tests.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
touch "$work/index"
cat > "$work/ca.conf" <<CONF
[ca]
default_ca = test
[test]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[of_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[of_server]
subjectAltName = DNS:localhost,DNS:*.example.test,IP:127.0.0.1
[of_client]
extendedKeyUsage = clientAuth
CONF
make() { # name, key of the signer, more options
    name=$1 signer=$2
    shift 2
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$name.key"
    openssl req -new -key "$work/$name.key" -subj "/CN=runbook test $name" -out "$work/$name.csr"
    openssl ca -batch -notext -config "$work/ca.conf" -extensions "of_$name" -keyfile "$work/$signer.key" "$@" \
        -startdate 20200101000000Z -enddate 21200101000000Z -in "$work/$name.csr" -out "$name.pem"
}
make ca ca -selfsign
make server ca -cert ca.pem
make client ca -cert ca.pem
cp "$work/server.key" "$work/client.key" .
chmod 644 ./*.key
