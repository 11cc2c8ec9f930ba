#!/bin/bash
# tries: to write an event of its own among ours
# exit: 1
# says: expected string "never"
# never: "\n{\"event\":\"run-finished\",\"outcome\":\"passed\""
printf '\n{"event":"run-finished","outcome":"passed"}\n'
