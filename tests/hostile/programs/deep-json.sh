#!/bin/bash
# tries: JSON of 100,000 levels
# exit: 1
# says: expected string "never"
head -c 100000 /dev/zero | tr '\0' '['
head -c 100000 /dev/zero | tr '\0' ']'
