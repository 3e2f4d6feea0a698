// Shows what the server sends as `value` (JSON): new pictures, and boxes of the faces.
const find = (selector) => element.querySelector(selector);

function wipe() {
  const share = find(".wipe input").value;
  find(".after").style.clipPath = `inset(0 0 0 ${share}%)`;
  find(".line").style.left = `${share}%`;
  find(".line").hidden = share === "0" || share === "100";
}

function showFaces(faces, chosen) {
  const boxes = find(".faces");
  boxes.replaceChildren();
  if (faces.length < 2) return;
  faces.forEach(([left, top, width, height], index) => {
    const box = document.createElement("button");
    box.type = "button";
    box.textContent = index + 1;
    box.setAttribute("aria-label", `Face ${index + 1} of ${faces.length}`);
    box.setAttribute("aria-pressed", index === chosen);
    const place = { left, top, width, height };
    for (const side in place) box.style[side] = `${place[side]}%`;
    box.addEventListener("click", () => trigger("select", { index }));
    boxes.append(box);
  });
}

function show() {
  if (!props.value) return;
  const shown = JSON.parse(props.value);
  if (shown.before) {
    find(".before").src = shown.before;
    find(".before").alt = `${shown.name}, as it was given`;
    find(".after").alt = `${shown.name}, with the face at the AUs of the sliders`;
    find(".stage").dataset.empty = "false";
    showFaces(shown.faces, shown.chosen);
  }
  find(".after").src = shown.after;
}

find(".wipe input").addEventListener("input", wipe);
watch("value", show);
wipe();
show();
