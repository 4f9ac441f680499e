// The page's script: what is in the address is shown.
"use strict";
