#!/bin/bash
# tries: to write lines that look as if the run had passed
# exit: 1
# says: 1 failed
# never: "\npassed in 1 s"
printf 'x\n✔ all is well\n\npassed in 1 s\n'
printf 'x\n✔ all is well\n\npassed in 1 s\n' >&2
