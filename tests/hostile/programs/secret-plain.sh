#!/bin/bash
# tries: to show the secret, plain and in usual forms, on both streams
# exit: 1
# says: "***"
# never: [aE9zdGlsZS1TM2NyZXQvNWYyZSt4, 684f7374696c652d]
echo "$TOKEN"
printf %s "$TOKEN" | base64 >&2
printf %s "$TOKEN" | od -An -tx1 -v | tr -d ' \n'
