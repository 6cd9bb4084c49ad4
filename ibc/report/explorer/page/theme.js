// Sets the chosen colours before the first paint; without a choice the system's are used.
"use strict";

(function () {
  try {
    const chosen = localStorage.getItem("ibc-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // No storage for local files in this browser: the system's colours.
  }
})();
