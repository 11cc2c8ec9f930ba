#!/bin/bash
# tries: to keep the run waiting by a child that holds its output open
# exit: 1
# says: expected string "never"
sleep 1000 &
disown
echo done
