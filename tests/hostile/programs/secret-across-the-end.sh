#!/bin/bash
# tries: to have half of the secret shown where the output is cut
# exit: 1
# says: expected string "never"
# never: hOstile-S3
head -c 1990 /dev/zero | tr '\0' x
printf %s "$TOKEN"
head -c 5000 /dev/zero | tr '\0' y
