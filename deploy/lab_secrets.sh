#!/bin/sh
# Makes the secrets of the overlay lab, random, in the cluster that kubectl points to:
#
#     deploy/lab_secrets.sh               # namespace pinclip-lab, made where it is missing
#
# Nothing is written to a file or shown. Existing secrets stay, because MLflow's and Redis's volumes keep the passwords.
set -eu
namespace="${1:-pinclip-lab}"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

there() {
    kubectl --namespace "$namespace" get secret "$1" --ignore-not-found --output name | grep -q .
}

# Reads the fields of a secret, one a line, and makes it. `create` keeps no copy of them in an annotation, as `apply` would.
# One of the two that share a password exists if an earlier call was interrupted between them.
make() {
    kubectl --namespace "$namespace" delete secret "$1" --ignore-not-found </dev/null
    { printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n' "$1"; sed 's/^/  /'; } |
        kubectl --namespace "$namespace" create --filename -
}

kubectl get namespace "$namespace" --output name --ignore-not-found | grep -q . || kubectl create namespace "$namespace"

if ! there pinclip-mlflow-server; then
    password="$(random)"
    make pinclip-mlflow <<END
username: pinclip
password: "$password"
END
    make pinclip-mlflow-server <<END
backend_store_uri: sqlite:////data/mlflow/mlflow.db
flask_secret_key: "$(random)"
admin_password: "$password"
basic_auth.ini: |
  [mlflow]
  default_permission = READ
  database_uri = sqlite:////data/mlflow/auth.db
  admin_username = pinclip
  authorization_function = mlflow.server.auth:authenticate_request_basic_auth
END
fi

if ! there pinclip-redis-server; then
    password="$(random)"
    make pinclip-redis <<END
connection: "redis:6379,username=pinclip,password=$password"
END
    make pinclip-redis-server <<END
users.acl: |
  user default off
  user pinclip on #$(printf %s "$password" | sha256) ~* +@all -@admin -@dangerous
END
fi

there pinclip-encoder || make pinclip-encoder <<END
token: "$(random)"
END
