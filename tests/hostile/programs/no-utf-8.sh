#!/bin/bash
# tries: bytes that are no UTF-8
# exit: 1
# says: expected string "never"
printf 'caf\351 \303\050 \377\376 \355\240\200'
