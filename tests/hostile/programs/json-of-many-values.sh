#!/bin/bash
# tries: nine megabytes of JSON that would be gigabytes of small values
# exit: 1
# says: the program printed no JSON
printf '[0'
yes ',{"a":[]}' | head -n 900000 | tr -d '\n'
printf ']'
