#!/bin/bash
# tries: to have what it prints rendered
# exit: 1
# says: '{{ 123456 * 3 }}'
# never: "370368"
echo '{{ 123456 * 3 }} {{ token }}'
