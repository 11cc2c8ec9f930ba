#!/bin/bash
# tries: to end texts early by NULs
# exit: 1
# says: '\u{0}'
printf 'a\0b\0c'
