// The theme adds these after the page has loaded. A `nav` around each button to copy would be
// a landmark of the page, and a table that scrolls must be reachable with the keyboard.
const mend = () => {
  for (const nav of document.querySelectorAll("nav.md-code__nav")) nav.setAttribute("role", "none");
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0;
};
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
