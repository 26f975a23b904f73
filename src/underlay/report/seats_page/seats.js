"use strict";
// Asks for what is on the board once a second, and shows it. All of it is set as text.
const part = (id) => document.getElementById(id);
let revision = 0;

function over(text) {
  part("over").hidden = !text;
  part("over").textContent = text;
}

function row(seat) {
  const made = document.createElement("tr");
  made.className = seat.sign;
  seat.cells.forEach((text, place) => {
    const cell = document.createElement(place ? "td" : "th");
    if (!place) cell.scope = "row";
    if (place === 3) cell.className = "check";
    cell.textContent = text;
    made.append(cell);
  });
  return made;
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`state?revision=${revision}&cells=0`, { cache: "no-store" });
      if (answer.status === 200) {
        const told = await answer.json();
        revision = told.revision;
        part("sum").textContent = told.sum;
        part("seats").replaceChildren(...(told.seats ?? []).map(row));
        document.documentElement.dataset.ready = "yes";
        if (told.ended) {
          over(told.ended);
          return;
        }
        over(told.wrong ?? "");
      } else if (answer.status !== 204) {
        throw new Error(answer.statusText);
      }
    } catch {
      over("Nobody answers any more: the command has ended.");
      return;
    }
    await new Promise((go) => setTimeout(go, 1000));
  }
}

follow();
