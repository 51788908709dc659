"use strict";
(() => {
  const empty = (v) => v === "" || v === undefined;
  const key = (cell) => (cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent);
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) =>
      head.querySelector("button").addEventListener("click", () => {
        const numeric = head.classList.contains("num");
        const before = head.getAttribute("aria-sort");
        // Numbers: the largest first, since that is what one looks for.
        const up = before === "none" ? !numeric : before === "descending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const order = (a, b) => {
          const x = key(a.cells[column]), y = key(b.cells[column]);
          if (empty(x) || empty(y)) return empty(x) - empty(y);
          const found = numeric ? Number(x) - Number(y) : x.localeCompare(y, undefined, { numeric: true });
          return up ? found : -found;
        };
        body.append(...[...body.rows].sort(order));
      })
    );
  }

  const tip = document.createElement("div");
  tip.className = "plaudit-tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  for (const node of document.querySelectorAll(".plaudit svg title")) {
    const mark = node.parentNode;
    if (mark.localName === "svg") continue;
    mark.dataset.tip = node.textContent;
    mark.setAttribute("aria-label", node.textContent);
    mark.setAttribute("role", "img");
    node.remove();
  }
  for (const mark of document.querySelectorAll(".heat mark[title]")) {
    mark.dataset.tip = mark.title;
    mark.setAttribute("aria-description", mark.title);
    mark.removeAttribute("title");
  }
  const show = (mark) => {
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const at = mark.getClientRects()[0] || mark.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(4, at.left + at.width / 2 - box.width / 2), document.documentElement.clientWidth - box.width - 4);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${at.top - box.height - 6 < 4 ? at.bottom + 6 : at.top - box.height - 6}px`;
  };
  const marked = (event) => event.target.closest && event.target.closest("[data-tip]");
  const hide = () => { tip.hidden = true; };
  for (const kind of ["pointerover", "focusin", "click"])
    document.addEventListener(kind, (event) => { const mark = marked(event); if (mark) show(mark); else if (kind === "click") hide(); });
  for (const kind of ["pointerout", "focusout"]) document.addEventListener(kind, hide);
  document.addEventListener("scroll", hide, { passive: true });

  // One stop of the tab key for each drawing and text; the arrow keys go from mark to mark.
  for (const group of document.querySelectorAll(".heat, .plaudit figure > svg")) {
    const marks = [...group.querySelectorAll("[data-tip]")];
    if (!marks.length) continue;
    marks.forEach((mark, k) => mark.setAttribute("tabindex", k ? "-1" : "0"));
    group.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const at = marks.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      const next = marks[Math.min(Math.max(at + step, 0), marks.length - 1)];
      marks[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  }

  for (const line of document.querySelectorAll(".command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const code = line.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    line.append(button);
  }
})();
