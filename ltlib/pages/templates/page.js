(function () {
  "use strict";
  var root = document.documentElement;
  function saved() { try { return localStorage.getItem("lt-theme"); } catch (e) { return null; } }
  function dark() {
    var set = root.getAttribute("data-theme");
    return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  if (saved()) root.setAttribute("data-theme", saved());
  // A link to something inside a closed fold opens it, and what it lies in; so does printing, for as long as that takes.
  function reveal() {
    var name = location.hash.slice(1), goal = null;
    try { goal = name && document.getElementById(decodeURIComponent(name)); } catch (e) { /* not an address of ours */ }
    if (!goal) return;
    var inside = false;
    for (var at = goal.parentElement; at; at = at.parentElement) {
      if (at.tagName === "DETAILS" && !at.open) { at.open = true; inside = true; }
    }
    if (inside) goal.scrollIntoView();
  }
  window.addEventListener("hashchange", reveal);
  document.addEventListener("click", function (e) {
    var link = e.target.closest && e.target.closest('a[href^="#"]');
    if (link && link.getAttribute("href") === location.hash) reveal(); // the same address again is no change of it
  });
  reveal();
  var folds = "details.lt-fold, details.lt-notes", shut = [];
  window.addEventListener("beforeprint", function () {
    shut = Array.prototype.filter.call(document.querySelectorAll(folds), function (d) { return !d.open; });
    shut.forEach(function (d) { d.open = true; });
  });
  window.addEventListener("afterprint", function () { shut.forEach(function (d) { d.open = false; }); });

  var switches = { code: ["Show code", "Hide code", "details.code"], folds: ["Open folds", "Close folds", folds] };
  document.querySelectorAll("button[data-do]").forEach(function (button) {
    var theme = button.dataset.do === "theme", own = switches[button.dataset.do];
    if (own && !document.querySelector(own[2])) return;
    button.hidden = false;
    function name() { if (theme) button.textContent = dark() ? "Light" : "Dark"; }
    name();
    button.addEventListener("click", function () {
      if (theme) {
        var now = dark() ? "light" : "dark";
        root.setAttribute("data-theme", now);
        try { localStorage.setItem("lt-theme", now); } catch (e) { /* private mode: this page only */ }
        return name();
      }
      var open = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", open);
      button.textContent = own[open ? 1 : 0];
      document.querySelectorAll(own[2]).forEach(function (d) { d.open = open; });
    });
  });

  // Tables with one header row and no merged cells sort by a click or Enter on a header.
  function value(row, i) {
    var text = row.cells[i].textContent.trim();
    var number = parseFloat(text.replace(/,/g, ""));
    return isNaN(number) ? text.toLowerCase() : number;
  }
  document.querySelectorAll(".lt-scroll table").forEach(function (table) {
    if (!table.tHead || table.tHead.rows.length !== 1 || !table.tBodies.length) return;
    if (table.querySelector("[rowspan],[colspan]") || table.tBodies[0].rows.length < 3) return;
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, i) {
      head.tabIndex = 0;
      head.setAttribute("aria-sort", "none");
      function sort() {
        var up = head.getAttribute("aria-sort") !== "ascending";
        Array.prototype.forEach.call(head.parentNode.cells, function (h) { h.setAttribute("aria-sort", "none"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        Array.prototype.slice.call(table.tBodies[0].rows).sort(function (a, b) {
          var x = value(a, i), y = value(b, i);
          if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
          return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
        }).forEach(function (row) { table.tBodies[0].appendChild(row); });
      }
      head.addEventListener("click", sort);
      head.addEventListener("keydown", function (e) { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); sort(); } });
    });
    // Long ones are filtered by words: rows that hold each of them stay.
    var rows = Array.prototype.slice.call(table.tBodies[0].rows);
    if (rows.length < 15) return;
    var box = document.createElement("input");
    box.type = "search";
    box.className = "lt-filter";
    box.placeholder = "Rows with these words";
    box.setAttribute("aria-label", "Filter the rows of the table below by words");
    box.addEventListener("input", function () {
      var words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = words.some(function (word) { return text.indexOf(word) < 0; });
      });
    });
    var scroll = table.closest(".lt-scroll");
    scroll.parentNode.insertBefore(box, scroll);
  });

  var search = document.querySelector("input[data-filter]");
  if (search) {
    search.closest("label").hidden = false;
    search.addEventListener("input", function () {
      var words = search.value.toLowerCase().split(/\s+/), found = false;
      document.querySelectorAll("[data-words]").forEach(function (item) {
        item.hidden = !words.every(function (word) { return item.dataset.words.toLowerCase().indexOf(word) >= 0; });
        found = found || !item.hidden;
      });
      document.querySelectorAll("[data-none]").forEach(function (none) { none.hidden = found; });
    });
  }
})();
