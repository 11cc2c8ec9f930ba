#!/bin/bash
# tries: nine megabytes of JSON that would be gigabytes of small values
# exit: 1
# says: 'expected string "never", got null: '
printf '[0'
yes ',{"a":[]}' | head -n 900000 | tr -d '\n'
printf ']'
