#!/bin/bash
# tries: to outlive its step in a session of its own, with its output open
# exit: 1
# says: expected string "never"
# action: {timeout: 3s}
setsid sleep 30 &
echo done
