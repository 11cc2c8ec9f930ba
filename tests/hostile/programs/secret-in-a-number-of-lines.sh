#!/bin/bash
# tries: to push the secret out of the place where excerpts begin
# exit: 1
# says: expected string "never"
# never: hOstile-S3
for n in 1 2 3 4 5 6 7 8 9; do head -c $((n * 37)) /dev/zero | tr '\0' '\n'; printf '%s' "$TOKEN" >&2; done
